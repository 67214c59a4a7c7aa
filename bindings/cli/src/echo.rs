//! `linkspan echo`.

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, Handler, Sent};
use linkspan::protocol::{CloseInfo, MessageKind, SlowReader};

use crate::args::Echo;
use crate::problem::Problem;
use crate::serve::{self, Log};

pub(crate) fn run(arguments: &Echo) -> Result<(), Problem> {
    // It is not read from while much waits for it.
    serve::run(&arguments.listen, SlowReader::Refuse, Echoing { log: Log { is_verbose: arguments.listen.verbose } })
}

/// Sends every message back, and reads no more from a client that does not read.
struct Echoing {
    log: Log,
}

impl Handler for Echoing {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.log.came(cx, id);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        // One that is closing takes no more: its end tells.
        if let Ok(Sent::Buffered) = cx.send(id, kind, data) {
            let _ = cx.pause(id);
        }
    }

    fn on_drained(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let _ = cx.resume(id);
    }

    fn on_error(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        self.log.failed(cx, id, error);
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo) {
        self.log.went(cx, id, info);
    }
}
