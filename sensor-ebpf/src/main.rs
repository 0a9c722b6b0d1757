//! The programs that sensor attaches: XDP for ingress, TC (TCX) for egress and as ingress fallback.
//! They must never return anything but "go on".
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
        bindings::xdp_action::XDP_PASS,
        macros::{classifier, xdp},
        programs::{TcContext, XdpContext},
    };
    use sensor_ebpf::count::{self, Direction};

    /// `TC_ACT_UNSPEC`, which TCX knows as `TCX_NEXT`: the next program on the hook decides.
    const GO_ON: i32 = -1;

    #[xdp]
    fn sensor_xdp(ctx: XdpContext) -> u32 {
        count::xdp(&ctx, false);
        XDP_PASS
    }

    /// For interfaces whose frames may span several buffers (MTU above a page).
    #[xdp(frags)]
    fn sensor_xdp_frag(ctx: XdpContext) -> u32 {
        count::xdp(&ctx, true);
        XDP_PASS
    }

    #[classifier]
    fn sensor_egress(ctx: TcContext) -> i32 {
        count::tc(&ctx, Direction::Transmit);
        GO_ON
    }

    #[classifier]
    fn sensor_ingress(ctx: TcContext) -> i32 {
        count::tc(&ctx, Direction::Receive);
        GO_ON
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}
