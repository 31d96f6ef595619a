"""All members of a run, here or elsewhere.

members     train every member, shared with whoever does the same
worker      members trained in a process of its own
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
