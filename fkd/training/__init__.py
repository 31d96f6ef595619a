"""One member: its batches, its network, its training, its predictions.

member_training         the loop: `MemberTraining`, exactly resumable after every batch
network_pool            compiled networks in which members are trained; one step
augment                 `Batches(seed)(epoch, index)`: augmented batches as a pure function
batches                 whose batches a member sees; the next ones are prepared ahead
state                   everything a training needs to go on, in one atomic file
progress                what a training tells to whoever shows it
predict                 a network's outputs as points in pixels
test_time_augmentation  views of a face whose predictions are averaged
device                  the accelerator, precision, threads
networks/               architectures, losses, optimizers
"""
