"""From settings to Keras objects.

build       the only door: a network from its settings, and its outputs as coordinates
losses      the loss and the metric that the settings name
optimizers  optimizer and learning-rate schedule
cnn         plain convolutions
resnet      ResNets, fresh or pretrained
heatmap     a U-Net with maps as large as the picture
residual    residual blocks down to coarse maps and up again
head        from feature maps to coordinates
maps        one map a point: its loss, and how its peak is read
"""
