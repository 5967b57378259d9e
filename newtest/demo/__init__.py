"""What the digits demo needs beside the library: real scans, annotators' tendencies, classifiers."""
