//! A cluster that refuses, drips or lies.
