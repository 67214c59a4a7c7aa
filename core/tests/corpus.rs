//! Every `.wire` script, on every driver, however its input is cut.

mod common;

use common::play::{Cut, Endpoint, Prelude, lacks, play};
use common::wire::{Case, Need, Start};
use common::{blocked, by_hand, looped};

/// Plays every case that can be played; all failures are told at once.
fn play_all<E: Endpoint>(can: &[Need], cut: Cut, prelude: Prelude, make: impl Fn(&Case, Cut, Prelude) -> E) {
    let is_new = |case: &Case| prelude == Prelude::Adopted || case.start == Start::Open;
    let playable: Vec<&Case> = common::corpus().iter().filter(|case| !lacks(case, can) && is_new(case)).collect();
    assert!(playable.len() > 100, "only {} cases can be played", playable.len());
    let only = std::env::var("WIRE").unwrap_or_default();
    let chosen = playable.into_iter().filter(|case| case.name.contains(&only));
    let failures: Vec<String> =
        chosen.filter_map(|case| play(case, cut, prelude, &mut make(case, cut, prelude)).err()).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

fn by_hand(cut: Cut, prelude: Prelude) {
    play_all(&by_hand::can(), cut, prelude, by_hand::ByHand::new);
}

fn looped(cut: Cut, prelude: Prelude) {
    play_all(&looped::can_over_sockets(), cut, prelude, looped::Looped::over_a_socket);
}

fn hosted(cut: Cut, prelude: Prelude) {
    play_all(&looped::can_over_a_host(), cut, prelude, looped::Looped::over_a_host);
}

fn blocked(cut: Cut) {
    play_all(&blocked::can(), cut, Prelude::Adopted, blocked::Blocked::new);
}

#[test]
fn whole_through_the_engine() {
    by_hand(Cut::Whole, Prelude::Adopted);
}

#[test]
fn line_by_line_through_the_engine() {
    by_hand(Cut::Lines, Prelude::Adopted);
}

#[test]
fn byte_by_byte_through_the_engine() {
    by_hand(Cut::Bytes, Prelude::Adopted);
}

#[test]
fn cut_at_random_through_the_engine() {
    for seed in 0..8 {
        by_hand(Cut::Random(seed), Prelude::Adopted);
    }
}

#[test]
fn right_behind_a_handshake_through_the_engine() {
    for cut in [Cut::Whole, Cut::Bytes, Cut::Random(1), Cut::Random(2)] {
        by_hand(cut, Prelude::Handshake);
    }
}

#[test]
fn whole_through_a_loop() {
    looped(Cut::Whole, Prelude::Adopted);
}

#[test]
fn byte_by_byte_through_a_loop() {
    looped(Cut::Bytes, Prelude::Adopted);
}

#[test]
fn cut_at_random_through_a_loop() {
    looped(Cut::Random(11), Prelude::Adopted);
    looped(Cut::Random(12), Prelude::Adopted);
}

#[test]
fn right_behind_a_handshake_through_a_loop() {
    looped(Cut::Whole, Prelude::Handshake);
    looped(Cut::Random(13), Prelude::Handshake);
}

#[test]
fn whole_through_a_host_of_a_loop() {
    hosted(Cut::Whole, Prelude::Adopted);
}

#[test]
fn cut_at_random_through_a_host_of_a_loop() {
    hosted(Cut::Random(21), Prelude::Adopted);
    hosted(Cut::Random(22), Prelude::Handshake);
}

#[test]
fn whole_through_the_blocking_driver() {
    blocked(Cut::Whole);
}

#[test]
fn byte_by_byte_through_the_blocking_driver() {
    blocked(Cut::Bytes);
}

#[test]
fn cut_at_random_through_the_blocking_driver() {
    blocked(Cut::Random(31));
}
