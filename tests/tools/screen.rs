//! A terminal in memory: the keyboard of a person, and the screen that a program draws.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::{Color, Parser};

use crate::common::Cluster;

/// The size of the terminal.
const ROWS: u16 = 24;
const COLUMNS: u16 = 200;

/// A terminal, with all that programs have drawn on it.
pub struct Terminal {
    keyboard: File,
    program: File,
    screen: Arc<Mutex<Parser>>,
}

impl Terminal {
    pub fn open() -> Terminal {
        let (keyboard, program) = open_terminal();
        let of = |length| NonZero::new(length).unwrap();
        let screen = Arc::new(Mutex::new(Parser::new(of(ROWS), of(COLUMNS), 0)));
        let (mut output, drawn) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                drawn.lock().unwrap().process(&bytes[..length]);
            }
        });
        Terminal { keyboard, program, screen }
    }

    /// Starts a program on the terminal.
    pub fn run(&self, command: &mut Command) -> Child {
        spawn(command, &self.program)
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// The text that the terminal shows now.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// The color of the last place at which the terminal shows a text, and whether it is bold.
    pub fn look_of(&self, text: &str) -> (Color, bool) {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        let places = screen.rows(0, COLUMNS).zip(0..).filter_map(|(row, at)| {
            // The rows that these tests look at have one byte a column.
            row.find(text).and_then(|column| screen.cell(at, u16::try_from(column).unwrap()))
        });
        let cell = places.last().unwrap_or_else(|| panic!("no {text}: {}", screen.contents()));
        (cell.fgcolor(), cell.bold())
    }

    /// True while a program has the screen for itself.
    pub fn has_the_screen(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    /// Waits until the terminal shows a text.
    pub fn wait_for(&self, cluster: &Cluster, text: &str) {
        cluster.wait_for(text, || self.text().contains(text).then_some(()));
    }

    /// True while lines are edited and keys are echoed, as a shell needs it.
    pub fn is_put_back(&self) -> bool {
        let wanted = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcgetattr(&self.program).unwrap().local_modes.contains(wanted)
    }
}

/// Opens a terminal: the end of a person, which no child inherits, and the end of a program.
pub fn open_terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    (File::from(master), terminal)
}

/// Starts a program whose three streams are the terminal.
pub fn spawn(command: &mut Command, terminal: &File) -> Child {
    let end = || terminal.try_clone().unwrap();
    command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
}
