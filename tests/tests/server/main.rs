//! The server in this process, over real sockets: what it promises to those who pay, to those who
//! attack and to those who only mistype.
#![cfg(test)]

mod ask;
mod permissions;
mod refusals;
mod concurrency;
mod lies;
mod once;
mod resumed;
mod dispositions;
mod real_model;
mod real_model_input;
mod conformance;
mod real_model_frameworks;
mod bad_input;
mod credentials;
mod store_trouble;
mod reports;
mod embeddings;
mod registry;
