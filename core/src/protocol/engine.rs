//! [`Engine`]: phases, receiving, sending, closing. It decides; frames, masks, texts and HTTP are others' work.

/// One WebSocket, either role.
#[derive(Debug)]
pub struct Engine {}
