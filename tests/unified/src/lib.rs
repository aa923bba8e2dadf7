//! Nothing: its dependencies' features are what it is for.
