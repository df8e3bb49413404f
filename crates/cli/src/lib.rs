//! What every terminal face shares.
