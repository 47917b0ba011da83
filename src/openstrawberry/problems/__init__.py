"""Problems with known answers, and where they come from."""
