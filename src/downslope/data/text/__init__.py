"""Text: from a column of strings to sparse columns, by hashed n-grams of words and of characters."""
