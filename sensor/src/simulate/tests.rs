//! Tests of the simulator: placeholder to compile.
