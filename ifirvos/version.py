"""The version, in a file that packaging can read without other imports."""

__version__ = '0.1.0'
