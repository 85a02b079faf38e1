"""Moving pictures: files that are written frame by frame, and videos in and out."""
