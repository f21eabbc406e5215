//! An upstream that says bytes which were written by hand.
