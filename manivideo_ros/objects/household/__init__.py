"""Generated household objects by name.

They are generated, because sets of scanned objects are gigabytes with a licence per object.
"""
