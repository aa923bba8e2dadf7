//! Files that exist only inside the Keep.
