"""What `tests/helpers/fuzz.py` does to fkd, and what it holds it to.

calls        the prepared folder, and the calls that read it
words        other words in a call
damage       one random damage to a file or a folder
of_bytes     to any: bytes, and other things in its place
of_text      to texts, tables, JSON and YAML
of_archives  to zip files, pictures and arrays
watched      a call in a process with limits on memory and time
promises     what holds whatever is damaged
"""
