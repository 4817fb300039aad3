"""Three classes: will it be clear, hazy or foggy a day from now?"""
