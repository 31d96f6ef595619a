import gradient_sweep


def test_few_filters_have_the_same_gradients_with_onednn_and_without_it():
    """Fails where a level's 1x1 convolution with stride 2 is left to oneDNN: killed, or another gradient."""
    asked = [
        {"kind": "residual", "filters": filters, "stem_kernel": stem_kernel, "output_level": 0}
        for filters, stem_kernel in (((3, 4), 5), ((4, 4), 1), ((12, 4), 5))
    ]
    assert not gradient_sweep.differences(asked)
