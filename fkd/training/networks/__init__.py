"""From settings to Keras objects.

build       the kinds of networks: a network from its settings
codecs      start here: which loss, reading and measure a kind of network gets
losses      losses of coordinates, also of those that are read off maps
optimizers  optimizer and learning-rate schedule
cnn         plain convolutions
resnet      ResNets, fresh or pretrained
heatmap     a U-Net with maps as large as the picture
residual    residual blocks down to coarse maps and up again
head        from feature maps to coordinates
maps        one map a point: their divergence, and how peaks are read
"""
