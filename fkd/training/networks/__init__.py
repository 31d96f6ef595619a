"""From settings to Keras objects.

build       the kinds of networks: a network from its settings
codecs      what outputs mean: the loss, the reading and the measure of coordinates and of maps
losses      losses of coordinates
optimizers  optimizer and learning-rate schedule
cnn         plain convolutions
resnet      ResNets, fresh or pretrained
heatmap     a U-Net with maps as large as the picture
residual    residual blocks down to coarse maps and up again
head        from feature maps to coordinates
maps        one map a point: its loss, and how its peak is read
"""
