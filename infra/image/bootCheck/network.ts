/** The network that qemu's user-mode stack shows to a guest under check. Data only. */

/**
 * Addresses of RFC 5737's documentation block: an image with an address of its own, or one left over
 * from its build, cannot have these but by this network's DHCP.
 */
export const guestNetwork = {
  cidr: "192.0.2.0/24",
  gateway: "192.0.2.2",
  dns: "192.0.2.3",
  /** The first and only lease, with its prefix length as the guest sees it. */
  lease: "192.0.2.77",
  leaseWithPrefix: "192.0.2.77/24",
} as const;
