# Runs a command as a pod would: as nobody, with 16 MB to write in and nothing else.
#
#   unshare --mount sh pod.sh ROOT CGROUP FOLDER... -- COMMAND
#
# ROOT is an empty folder. CGROUP is the folder of the cgroup to join, or empty. The command sees the system's folders
# and each FOLDER, none of which it can write to. All mounts end with the command.
set -eu
root=$1 cgroup=$2
shift 2
[ -z "$cgroup" ] || echo $$ >"$cgroup/cgroup.procs"
mount -t tmpfs -o mode=755 root "$root"
mkdir "$root/dev" "$root/proc" "$root/tmp"
mount -t tmpfs -o size=16m,mode=1777 tmp "$root/tmp"
mount --rbind /proc "$root/proc"
for device in null random urandom zero; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
show() {
    if [ -L "$1" ]; then
        cp -P "$1" "$root$1"
    elif [ -d "$1" ]; then
        mkdir -p "$root$1"
        mount --bind "$1" "$root$1"
        mount -o remount,bind,ro "$root$1"
    fi
}
for folder in /bin /etc /lib /lib64 /sbin /usr; do show "$folder"; done
while [ "$1" != -- ]; do
    show "$1"
    shift
done
shift
mount -o remount,ro "$root"
cd /
exec chroot --userspec=65534:65534 --groups= "$root" "$@"
