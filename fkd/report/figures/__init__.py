"""The figures of a report: a file for each section of figures, and how faces are drawn.

data_figures          missing labels, faces, what is odd
augmentation_figures  random changes: each alone, all at once
training_figures      how members were trained
selection_figures     how members compare, who was chosen
error_figures         where the average goes wrong
radius_figures        whether radii hold what they promise, and how large they are
filter_figures        filters of the first convolution
face_grid             grids of faces with several sets of points
face_sheet            sheets of faces with one set of points
faces                 pictures of faces with dots
"""
