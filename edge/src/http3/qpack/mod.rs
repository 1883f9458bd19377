//! QPACK (RFC 9204) without a dynamic table: the peer is told a capacity of 0, so that a field
//! section stands for itself and decoding needs no state of the connection.

mod decode;
mod encode;
mod huffman;
mod integer;
mod static_table;

pub(super) use decode::{DecodeError, Field, decode};
pub(super) use encode::{encode_field, encode_prefix};
