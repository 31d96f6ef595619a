"""The ensemble outside the competition.

photos         the points of the faces in whole photos
photo_drawing  photos drawn with their points
face_follower  faces followed from picture to picture, their points kept steady
camera         the points of the faces before a camera, for the demo
films          the points of the faces in films, drawn steadily
demo           a page to drop a photo on
review         labels that look wrong, and what is decided on them
review_page    these on a page: .html, .css and .js beside it
page_server    a page on this machine until it is stopped
page_gate      what its server lets in
export         the ensemble as one model that needs no fkd
model_formats  Keras, SavedModel, ONNX: written, read, used
model_card     the card beside an exported model
"""
