//! What the programs may cost the verifier and the machine, and that they never do anything but let packets pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use aya::{
    Ebpf,
    maps::MapInfo,
    programs::{ProgramError, ProgramInfo, TestRun, TestRunOptions, TestRunResult},
};
use common::supplied;
use sensor::probe::{OBJECT, Probe};
use sensor_tests::{
    generate::{self, Random},
    require,
};

/// What the verifier walks is most of the time to start: twice what this compiler and kernel give. The kernel allows a
/// million.
const MAX_VERIFIED_INSTRUCTIONS: u32 = 80_000;
/// Bytes of a program after the kernel's own rewriting.
const MAX_TRANSLATED_BYTES: u32 = 48 << 10;
/// The kernel allows 512 bytes for a program and all it calls.
const MAX_STACK_BYTES: i32 = 384;
/// `BPF_OBJ_NAME_LEN` less the terminating zero.
const MAX_NAME_BYTES: usize = 15;

const XDP: [&str; 2] = ["sensor_xdp", "sensor_xdp_frag"];
const TC: [&str; 2] = ["sensor_egress", "sensor_ingress"];

fn infos(probe: &Probe) -> Vec<(&'static str, ProgramInfo)> {
    let xdp = XDP.map(|name| (name, probe.xdp(name).unwrap().info().unwrap()));
    let tc = TC.map(|name| (name, probe.classifier(name).unwrap().info().unwrap()));
    xdp.into_iter().chain(tc).collect()
}

#[test]
fn the_verifier_walks_each_program_within_the_budget() {
    if !require::bpf() {
        return;
    }
    let (probe, _drainer) = supplied(1 << 20);
    for (name, info) in infos(&probe) {
        let verified = info.verified_instruction_count().expect("Linux 5.16 tells");
        let translated = info.size_translated().unwrap();
        println!(
            "{name}: {verified} instructions verified, {translated} bytes translated, {} jited",
            info.size_jitted()
        );
        assert!(verified < MAX_VERIFIED_INSTRUCTIONS, "{name}: {verified}");
        assert!(translated < MAX_TRANSLATED_BYTES, "{name}: {translated}");
    }
}

#[test]
fn names_fit_what_the_kernel_keeps() {
    if !require::bpf() {
        return;
    }
    let (probe, _drainer) = supplied(1 << 20);
    let mut maps = Vec::new();
    for (name, info) in infos(&probe) {
        assert!(name.len() <= MAX_NAME_BYTES);
        assert_eq!(
            info.name_as_str(),
            Some(name),
            "the kernel's name is the whole name"
        );
        for id in info.map_ids().unwrap().unwrap() {
            maps.push(MapInfo::from_id(id).unwrap().name_as_str().unwrap().to_owned());
        }
    }
    let object = Ebpf::load(OBJECT).unwrap();
    for (name, _) in object.maps() {
        // aya makes maps of the object's data sections, too; the kernel has those as `.rodata`.
        assert!(name.len() <= MAX_NAME_BYTES, "{name}");
    }
    for name in ["CONTROL", "FLOWS", "OVERFLOW", "BOOKS", "IFACES", "SCRATCH"] {
        assert!(maps.iter().any(|map| map == name), "{name} in {maps:?}");
    }
}

#[test]
fn the_licence_allows_the_helpers_that_need_it() {
    if !require::bpf() {
        return;
    }
    let (probe, _drainer) = supplied(1 << 20);
    for (name, info) in infos(&probe) {
        assert_eq!(info.gpl_compatible(), Some(true), "{name}");
    }
}

#[test]
fn no_frame_is_dropped_redirected_or_changed() {
    if !require::bpf() {
        return;
    }
    let (probe, _drainer) = supplied(1 << 20);
    let mut random = Random::new(0xb0d9_e700);
    let mut runs = 0;
    for _ in 0..5_000 {
        let frame = generate::frame(&mut random);
        for name in XDP {
            let (verdict, after) = run(probe.xdp(name).unwrap(), &frame).unwrap();
            assert_eq!(verdict, 2, "{name}: XDP_PASS");
            assert_eq!(after, frame, "{name}");
        }
        for name in TC {
            // The kernel makes no socket buffer of frames without a network header.
            let Ok((verdict, after)) = run(probe.classifier(name).unwrap(), &frame) else {
                continue;
            };
            assert_eq!(verdict as i32, -1, "{name}: TCX_NEXT");
            assert_eq!(after, frame, "{name}");
            runs += 1;
        }
    }
    assert!(runs > 8_000, "{runs} runs at TC");
}

/// Return value and the frame afterwards.
fn run<P>(program: &P, frame: &[u8]) -> Result<(u32, Vec<u8>), ProgramError>
where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>,
{
    let mut after = vec![0; frame.len() + 64];
    let options = TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut after),
        ..TestRunOptions::new()
    };
    let result = program.test_run(options)?;
    after.truncate(result.data_size_out as usize);
    Ok((result.return_value, after))
}

/// Deepest stack access of any function of the object, read from its instructions (RFC 9669): loads and stores relative
/// to the frame pointer, and addresses computed from it.
fn deepest_stack_access(code: &[u8]) -> i32 {
    const FRAME_POINTER: u8 = 10;
    let mut deepest = 0;
    let mut copied = None;
    for instruction in code.chunks_exact(8) {
        let (opcode, target, source) = (instruction[0], instruction[1] & 0xf, instruction[1] >> 4);
        let offset = i32::from(i16::from_le_bytes([instruction[2], instruction[3]]));
        let immediate = i32::from_le_bytes(instruction[4..8].try_into().unwrap());
        let base = match opcode & 7 {
            1 => Some(source),
            2 | 3 => Some(target),
            _ => None,
        };
        if base == Some(FRAME_POINTER) {
            deepest = deepest.min(offset);
        }
        // mov64 from the frame pointer, then add64 of a constant.
        if opcode == 0xbf && source == FRAME_POINTER {
            copied = Some(target);
        } else if opcode == 0x07 && copied == Some(target) {
            deepest = deepest.min(immediate);
            copied = None;
        }
    }
    -deepest
}

/// Sections of a 64-bit little-endian ELF file that hold instructions.
fn code_sections(elf: &[u8]) -> Vec<&[u8]> {
    let word = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap()) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes([elf[at], elf[at + 1]]));
    let (table, size, count) = (word(0x28), half(0x3a), half(0x3c));
    (0..count)
        .map(|section| table + section * size)
        // SHF_EXECINSTR.
        .filter(|header| word(header + 8) & 4 != 0)
        .map(|header| &elf[word(header + 0x18)..][..word(header + 0x20)])
        .filter(|code| !code.is_empty())
        .collect()
}

/// Without `--disable-expand-memcpy-in-order` the linker turns comparing keys, starting records and copying into calls of
/// functions that go byte by byte: 25 ns more on each packet, four times as much for the verifier.
#[test]
fn nothing_is_copied_or_compared_byte_by_byte() {
    let calls: usize = code_sections(OBJECT)
        .into_iter()
        .flat_map(|code| code.chunks_exact(8))
        // `call` of another function of the object (BPF_PSEUDO_CALL).
        .filter(|instruction| instruction[0] == 0x85 && instruction[1] >> 4 == 1)
        .count();
    assert_eq!(calls, XDP.len() + TC.len(), "only the log line of each program");
}

#[test]
fn functions_of_the_programs_stay_within_the_stack_budget() {
    let sections = code_sections(OBJECT);
    assert!(sections.len() >= 3, "XDP, XDP with several buffers, TC");
    for code in sections {
        let deepest = deepest_stack_access(code);
        println!("{} instructions, {deepest} bytes of stack", code.len() / 8);
        assert!(deepest > 0 && deepest <= MAX_STACK_BYTES, "{deepest}");
    }
}
