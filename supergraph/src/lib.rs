//! Pure federation library.
