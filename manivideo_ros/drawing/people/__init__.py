"""The person of a skeleton: painted behind hands and objects, and joined to the arms of hands."""
