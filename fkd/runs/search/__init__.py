"""The search for better settings of an experiment.

search  trials by Ray Tune; those that lag behind end early
space   what may change, and what a trial draws
trials  what each trial is, and how it came out
"""
