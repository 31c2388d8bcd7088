package dev.isobit.ptx;

import java.util.Set;

/** The special registers that keep their value while a block runs. Clocks are read by {@link Clock}. */
final class SpecialRegisters {
    private static final Set<String> KNOWN = Set.of("tid.x", "tid.y", "tid.z", "ntid.x", "ntid.y", "ntid.z",
            "ctaid.x", "ctaid.y", "ctaid.z", "nctaid.x", "nctaid.y", "nctaid.z", "laneid", "warpid", "nwarpid",
            "smid", "nsmid", "gridid", "lanemask_eq", "lanemask_lt", "lanemask_le", "lanemask_gt", "lanemask_ge",
            "clusterid.x", "clusterid.y", "clusterid.z", "nclusterid.x", "nclusterid.y", "nclusterid.z",
            "cluster_ctaid.x", "cluster_ctaid.y", "cluster_ctaid.z", "cluster_nctaid.x", "cluster_nctaid.y",
            "cluster_nctaid.z", "cluster_ctarank", "cluster_nctarank", "dynamic_smem_size", "total_smem_size");

    private SpecialRegisters() {}

    static boolean isKnown(String name) {
        return KNOWN.contains(name);
    }

    /** Whether a register's value depends on the block. */
    static boolean isOfBlock(String name) {
        return name.startsWith("ctaid") || name.startsWith("cluster");
    }

    static long value(String name, Warp warp, int lane) {
        Block block = warp.block;
        Launch launch = block.grid.launch;
        return switch (name) {
            case "laneid" -> lane;
            case "warpid" -> warp.index;
            case "nwarpid" -> block.warps.length;
            case "smid", "gridid" -> 0;
            case "nsmid" -> 1;
            case "lanemask_eq" -> 1L << lane;
            case "lanemask_lt" -> (1L << lane) - 1;
            case "lanemask_le" -> (2L << lane) - 1;
            case "lanemask_gt" -> 0xffff_ffffL & -(2L << lane);
            case "lanemask_ge" -> 0xffff_ffffL & -(1L << lane);
            case "cluster_ctarank" -> block.rank;
            case "cluster_nctarank" -> launch.cluster().size();
            case "dynamic_smem_size" -> launch.sharedBytes();
            case "total_smem_size" -> block.shared.length;
            default -> {
                int axis = name.charAt(name.length() - 1) - 'x';
                yield switch (name.substring(0, name.length() - 2)) {
                    case "tid" -> launch.block().position(warp.index * (long) Lanes.COUNT + lane)[axis];
                    case "ntid" -> extent(launch.block(), axis);
                    case "ctaid" -> block.position[axis];
                    case "nctaid" -> extent(launch.grid(), axis);
                    case "cluster_ctaid" -> block.position[axis] % extent(launch.cluster(), axis);
                    case "cluster_nctaid" -> extent(launch.cluster(), axis);
                    case "clusterid" -> block.position[axis] / extent(launch.cluster(), axis);
                    case "nclusterid" -> extent(launch.grid(), axis) / extent(launch.cluster(), axis);
                    default -> throw new AssertionError(name);
                };
            }
        };
    }

    private static int extent(Dim3 extents, int axis) {
        return axis == 0 ? extents.x() : axis == 1 ? extents.y() : extents.z();
    }
}
