"""Images as content: folders of them, columns of them, and how they become pixels."""
