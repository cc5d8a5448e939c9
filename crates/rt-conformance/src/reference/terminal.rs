//! Interprets the scripts of terminals. The guest's terminal is a size: it echoes nothing, and the
//! interrupt of a keyboard is a byte that the script reads.

use std::io;

use rt_protocol::OutputStream;

use super::guest::{Guest, print, say};
use crate::Script;

/// What a keyboard sends for `^C`.
const INTERRUPT: u8 = 3;

/// Runs one of these scripts and returns its code.
pub(super) fn play(script: &Script, guest: &mut dyn Guest) -> io::Result<i32> {
    match script {
        Script::Terminal => {
            let text = if guest.terminal().is_some() { "yyy /dev/pts/0" } else { "nnn not a tty" };
            print(guest, text)
        }
        Script::TerminalSize => print_size(guest),
        Script::Resized { rows, columns } => {
            say(guest, b"ready ", b"")?;
            while guest.terminal().is_none_or(|size| (size.rows(), size.columns()) != (*rows, *columns)) {
                guest.wait_for_resize()?;
            }
            print(guest, "resized")
        }
        Script::ReadLine => {
            let mut line = read_to(guest, b'\n')?;
            line.pop();
            say(guest, &[b"<", &line[..], b">"].concat(), b"")?;
            Ok(0)
        }
        Script::RawCopy(count) => {
            say(guest, b"ready ", b"")?;
            for _ in 0..*count {
                let byte = read_byte(guest)?;
                guest.write(OutputStream::Stdout, byte.as_slice())?;
            }
            Ok(0)
        }
        Script::EndOnInterrupt(code) => {
            say(guest, b"ready ", b"")?;
            read_to(guest, INTERRUPT)?;
            Ok(*code)
        }
        _ => Ok(0),
    }
}

fn print_size(guest: &mut dyn Guest) -> io::Result<i32> {
    let Some(size) = guest.terminal() else { return Ok(1) };
    print(guest, format!("{} {}", size.rows(), size.columns()))
}

/// Reads bytes up to and with this one, or to the end.
fn read_to(guest: &mut dyn Guest, last: u8) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.last() != Some(&last) {
        match read_byte(guest)? {
            Some(byte) => bytes.push(byte),
            None => break,
        }
    }
    Ok(bytes)
}

fn read_byte(guest: &mut dyn Guest) -> io::Result<Option<u8>> {
    let mut byte = [0];
    Ok((guest.read(&mut byte)? == 1).then_some(byte[0]))
}
