//! The storage suite: everything that the store promises, on a real database in a folder of its own.

mod crash;
mod fixture;
mod fsck;
mod log;
mod model;
mod open;
mod records;
mod relay;
mod work;
mod write;
