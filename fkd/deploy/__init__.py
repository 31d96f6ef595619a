"""The ensemble outside the competition.

photos         the points of the faces in whole photos
photo_drawing  photos drawn with their points
films          the points of the faces in films, drawn steadily
demo           a page to drop a photo on
demo_gate      what its server lets in
export         the ensemble as one model that needs no fkd
model_formats  Keras, SavedModel, ONNX: written, read, used
model_card     the card beside an exported model
"""
