//! Completions for shells and pages of the manual, made from the definitions of the flags.
//!
//! Contract: whatever `--help` says is in the manual, and nothing that is hidden there is
//! in either.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Args, ValueEnum, ValueHint};
use clap_complete::aot;
use clap_mangen::Man;

pub(super) const COMPLETIONS_ABOUT: &str = "Prints what has a shell complete the commands and flags of s3mem with the Tab \
    key.\n\n\
    Put it where the shell looks for completions; see the examples.";

pub(super) const MAN_ABOUT: &str = "Writes the pages of the manual, s3mem.1 and one for each command, into a folder, \
    where 'man -l FILE' shows them. In a folder man1 of your MANPATH, such as \
    /usr/local/share/man/man1, 'man s3mem' and 'man s3mem-mount' find them.\n\n\
    The pages bear today's date, or that of SOURCE_DATE_EPOCH.";

/// The arguments of `s3mem completions`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bash, for you:
    mkdir -p ~/.local/share/bash-completion/completions
    s3mem completions bash > ~/.local/share/bash-completion/completions/s3mem

  zsh, for all users:
    s3mem completions zsh | sudo tee /usr/local/share/zsh/site-functions/_s3mem > /dev/null

  fish, for you:
    s3mem completions fish > ~/.config/fish/completions/s3mem.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: CompletedShell,
}

/// A shell that can complete our commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletedShell {
    /// The one of GNU
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
}

/// The arguments of `s3mem man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder for the pages; it is made if it does not exist
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
}

/// A page of the manual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManualPage {
    /// The name of its file, such as `s3mem-mount.1`.
    pub file_name: String,
    /// Its text, for man(1).
    pub text: String,
}

/// What has `shell` complete the commands and flags of `program`.
pub(super) fn completions(shell: CompletedShell, program: &clap::Command) -> Vec<u8> {
    let mut program = visible(program);
    let mut script = Vec::new();
    let shell = match shell {
        CompletedShell::Bash => aot::Shell::Bash,
        CompletedShell::Zsh => aot::Shell::Zsh,
        CompletedShell::Fish => aot::Shell::Fish,
    };
    aot::generate(shell, &mut program, "s3mem", &mut script);
    script
}

/// The pages of the manual: of the program, then of each command. `date` is YYYY-MM-DD.
///
/// # Errors
/// Help texts that can't be written; there are none.
pub(super) fn pages(program: &clap::Command, date: &str) -> io::Result<Vec<ManualPage>> {
    let mut program = visible(program).disable_help_subcommand(true);
    program.build();
    let mut pages = vec![page(&program, date)?];
    for command in program.get_subcommands() {
        pages.push(page(command, date)?);
    }
    Ok(pages)
}

/// A copy that lacks what is hidden, which the generators of completions would show.
fn visible(command: &clap::Command) -> clap::Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    // Those that exclude what is hidden would exclude what is not there.
    let alone = |argument: &clap::Arg| argument.clone().conflicts_with(Resettable::Reset);
    let mut copy = clap::Command::new(command.get_name().to_owned())
        .args(arguments.map(alone))
        .visible_aliases(command.get_visible_aliases().map(str::to_owned).collect::<Vec<_>>())
        .subcommands(
            command.get_subcommands().filter(|command| !command.is_hide_set()).map(visible),
        );
    if let Some(version) = command.get_version() {
        copy = copy.version(version.to_owned());
    }
    if let Some(about) = command.get_about() {
        copy = copy.about(about.clone());
    }
    if let Some(about) = command.get_long_about() {
        copy = copy.long_about(about.clone());
    }
    if let Some(examples) = command.get_after_long_help() {
        copy = copy.after_long_help(examples.clone());
    }
    copy
}

fn page(command: &clap::Command, date: &str) -> io::Result<ManualPage> {
    // The usual synopsis would list every flag.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let man = Man::new(command.clone().override_usage(usage));
    let file_name = man.get_filename();
    let name = file_name.trim_end_matches(".1").to_owned();
    let man = man
        .title(name.to_uppercase())
        .date(date)
        .source(concat!("s3mem ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    // As some readers want it: they know no backslash after a backslash, and one empty line
    // in the source is a mistake to them.
    let text = String::from_utf8_lossy(&text).replace("\\\\", "\\e");
    let mut text = text.replace(".br\n\n.br\n", ".sp\n").into_bytes();
    if let Some(behind) = command.get_after_long_help() {
        write_behind(&behind.to_string(), &mut text)?;
    }
    if name != "s3mem" {
        writeln!(text, ".SH \"SEE ALSO\"\n\\fBs3mem\\fR(1)")?;
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(ManualPage { file_name, text })
}

/// What stands behind the flags: examples, two columns in for what they do and four for
/// what is typed.
fn write_behind(behind: &str, to: &mut Vec<u8>) -> io::Result<()> {
    let mut is_typed = false;
    // The first paragraph below a heading needs no mark of its own.
    let mut is_first = false;
    for line in behind.lines() {
        let text = line.trim_start();
        let is_command = line.len() - text.len() >= 4;
        if is_command != is_typed {
            writeln!(to, "{}", if is_command { ".RS 4\n.nf" } else { ".fi\n.RE" })?;
            is_typed = is_command;
        }
        let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        match (text, is_command) {
            ("Examples:", _) => {
                writeln!(to, ".SH EXAMPLES")?;
                is_first = true;
            }
            ("", _) => {}
            (_, true) => writeln!(to, "{}{escaped}", &line[4..line.len() - text.len()])?,
            (_, false) => {
                writeln!(to, "{}{escaped}", if is_first { "" } else { ".PP\n" })?;
                is_first = false;
            }
        }
    }
    if is_typed {
        writeln!(to, ".fi\n.RE")?;
    }
    Ok(())
}
