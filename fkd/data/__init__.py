"""From files to 96x96 faces.

source           which data: a folder, Kaggle, the synthetic set, or what there is
cache            a checked copy of a data set that loads fast
formats          what a folder holds, and how it is read
kaggle_csv       the competition's files, read fast and strictly
csv_cells        cells of a CSV file; the first wrong one is named
pixel_text       the text of pixels as numbers, fast
labelled_photos  photos with .asf shapes or dlib's XML, cut into faces
photos           whole photos, read as they are displayed
face_finder      faces in whole photos, by Haar or YuNet
crops            faces found in 96x96 pictures, cut out; points brought back
near_duplicates  faces that look nearly the same, by their hashes
label_decisions  labels that a person keeps, drops or moves; their CSV
split            groups of look-alikes; training and validation rows
summary          a data set in words
faces            `Faces` and `FaceData`, the shapes in which data travels
synthetic/       the embedded set of drawn faces
"""
