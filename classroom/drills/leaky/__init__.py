"""Files with made-up secrets in them, and files that only look so: what a scanner is measured on, in two halves."""
