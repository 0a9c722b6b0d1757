//! The product's counting behind a step that gives each packet another source address, and the empty programs that
//! figures are compared with. For `cargo xtask bench kernel` with test runs only: it writes packets, so it must
//! never be attached.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that aya's attributes want"
)]
mod programs {
    use aya_ebpf::{
        Global,
        bindings::xdp_action::XDP_PASS,
        btf_maps::Array,
        macros::{btf_map, classifier, xdp},
        programs::{TcContext, XdpContext},
    };
    use sensor_ebpf::count::{self, Direction};

    const GO_ON: i32 = -1;
    /// Offset of the IPv4 source address behind an untagged Ethernet header.
    const SOURCE: usize = 14 + 12;

    /// Number of different source addresses.
    #[unsafe(no_mangle)]
    static FLOW_COUNT: Global<u32> = Global::new(1);
    /// 1: addresses in counting order (every packet new), 0: random order.
    #[unsafe(no_mangle)]
    static IN_ORDER: Global<u32> = Global::new(0);

    #[btf_map]
    static STATE: Array<u64, 1> = Array::new();

    #[inline(always)]
    fn next() -> u32 {
        let Some(state) = STATE.get_ptr_mut(0) else {
            return 0;
        };
        // SAFETY: one test run at a time uses the state.
        let state = unsafe { &mut *state };
        if IN_ORDER.load() != 0 {
            *state += 1;
            return (*state as u32).checked_rem(FLOW_COUNT.load()).unwrap_or(0);
        }
        // Knuth's 64-bit linear congruential generator; the high bits are good.
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((*state >> 33) as u32)
            .checked_rem(FLOW_COUNT.load())
            .unwrap_or(0)
    }

    #[inline(always)]
    fn change(data: usize, end: usize) {
        if data + SOURCE + 4 <= end {
            // SAFETY: checked against the end of the frame.
            unsafe { ((data + SOURCE) as *mut u32).write_unaligned(next() + 1) };
        }
    }

    #[xdp]
    fn empty_xdp(_ctx: XdpContext) -> u32 {
        XDP_PASS
    }

    #[classifier]
    fn empty_tc(_ctx: TcContext) -> i32 {
        GO_ON
    }

    #[xdp]
    fn change_xdp(ctx: XdpContext) -> u32 {
        change(ctx.data(), ctx.data_end());
        XDP_PASS
    }

    #[xdp]
    fn count_xdp(ctx: XdpContext) -> u32 {
        change(ctx.data(), ctx.data_end());
        count::xdp(&ctx, false);
        XDP_PASS
    }

    #[classifier]
    fn change_tc(ctx: TcContext) -> i32 {
        change(ctx.data(), ctx.data_end());
        GO_ON
    }

    #[classifier]
    fn count_tc(ctx: TcContext) -> i32 {
        change(ctx.data(), ctx.data_end());
        count::tc(&ctx, Direction::Transmit);
        GO_ON
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}
