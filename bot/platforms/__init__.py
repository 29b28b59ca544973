"""Chat platforms behind one seam. Only the packages below import a platform's library."""
