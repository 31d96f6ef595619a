"""One member: its batches, its network, its training, its predictions.

member_training         the loop: one step of several members; a member from its last state to its end
callbacks               Keras' callbacks: early stopping, the best weights, and those that a file names
member_task             what one member learns from and is judged by
member_files            its history, logs and, at its end, all that is kept; done.json is last
network_pool            compiled networks in which members are trained
compiled_step           one step of several networks, by each framework
augment                 `Batches(seed)(epoch, index)`: augmented batches as a pure function
batches                 whose batches a member sees; the next ones are prepared ahead
state                   everything a training needs to resume, in one atomic file
progress                what a training tells to whoever shows it
predict                 a network's outputs as points in pixels
test_time_augmentation  views of a face whose predictions are averaged
device                  the accelerator, precision, threads
networks/               architectures, what their outputs mean, optimizers
"""
