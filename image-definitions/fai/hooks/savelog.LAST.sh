# The logs belong to the build, not into the image.
skiptask savelog
