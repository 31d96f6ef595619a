"""All members of a run, here or elsewhere.

job         what is to be trained, as it is handed to whatever trains it
request     what a verb works on: experiment, data, store
members     train every member of a job, shared with whoever does the same
splits      a specialist's training and validation rows
status      where members stand; which are finished
locks       one process at a time trains a member
progress    the live line and the plain lines of a training
provenance  code, packages, machine and data of a run
spot        the cloud's notice that it takes a spot machine away
engines/    in this process, in several, or on a Ray cluster
remote/     the copy of a run behind a URL
search/     the search for better settings
"""
