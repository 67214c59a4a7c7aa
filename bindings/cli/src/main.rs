//! The command `linkspan`: talk to WebSocket servers, and be one. Nothing of the protocol is here: the crate
//! `linkspan` does the work, and this shows it.
#![forbid(unsafe_code)]

mod args;
mod connect;
mod echo;
mod editor;
mod event;
mod input;
mod output;
mod problem;
mod serve;
mod session;
mod signals;
mod slash;
mod text;
mod topics;

use std::env;
use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Arguments, Command};
use crate::problem::Problem;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error),
    };
    let done = match arguments.command {
        Command::Connect(arguments) => connect::run(*arguments),
        Command::Echo(arguments) => echo::run(&arguments),
        Command::ServeTopics(arguments) => topics::run(&arguments),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "linkspan", &mut io::stdout());
            Ok(())
        }
        Command::Man { command } => man(command.as_deref()),
    };
    editor::restore();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Problem { status, sentence }) => {
            if let Some(sentence) = sentence {
                eprintln!("linkspan: {sentence}");
            }
            ExitCode::from(status)
        }
    }
}

/// What clap has to say: help as it is, an error as one sentence.
fn refused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that has gone needs no help.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let sentence = text.split("\n\n").next().unwrap_or_default();
    let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    let similar =
        |line: &str| line.trim().strip_prefix("tip: ").filter(|tip| tip.contains("similar")).map(str::to_owned);
    let known = env::args().nth(1).filter(|name| Arguments::command().find_subcommand(name).is_some());
    let more = || format!("'linkspan help{}' tells more", known.map(|name| format!(" {name}")).unwrap_or_default());
    eprintln!("linkspan: {sentence}; {}", text.lines().find_map(similar).unwrap_or_else(more));
    ExitCode::from(2)
}

fn man(command: Option<&str>) -> Result<(), Problem> {
    let mut all = Arguments::command();
    all.build();
    let page = match command {
        None => all,
        Some(name) => match all.find_subcommand(name) {
            Some(found) => found.clone(),
            None => return Err(Problem::usage("there is no such command: 'linkspan help' names all")),
        },
    };
    match clap_mangen::Man::new(page).render(&mut io::stdout()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Problem::failed(error.to_string())),
        _ => Ok(()),
    }
}
