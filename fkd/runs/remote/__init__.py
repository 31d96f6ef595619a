"""The copy of a run behind a URL.

remote_store  what is pulled and pushed, and when
session       a copy opened for as long as a command works
lease         one machine at a time trains a member
uploads       a background thread that uploads and retries
object_store  whole objects behind a URL, by fsspec
"""
