# Gives a mount namespace a root of its own: this machine's files, copy on write, in memory.
# $1: the control group of what runs in it. $2: what images bring beside programs.
# Then, in pairs: a program's name and where it is.
# Its files are its own; programs in it may be those of other users.
umask 022
cgroup=$1
files=$2
shift 2
mount -t tmpfs sandbox /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay sandbox -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
# What is the whole kernel's is nobody's to change from in here.
mount --bind proc/sys/kernel proc/sys/kernel
mount -o remount,bind,ro proc/sys/kernel
mount -t sysfs sysfs sys
mount -t bpf bpf sys/fs/bpf
mount --rbind /dev dev
mount -t tmpfs sandbox tmp
mount -t tmpfs sandbox run
mkdir -p run/netns run/lock run/cilium/cgroupv2
mount --bind "$cgroup" run/cilium/cgroupv2
# Containers see their host's files under /host.
ln -sfn / host
rm -rf etc/cni opt/cni var/lib/cilium
mkdir -p etc/cni/net.d opt/cni/bin var/lib/cilium
mkdir -p opt/cilium
mount --bind "$files" opt/cilium
cp opt/cilium/clustermesh-apiserver/etcd-config.yaml var/lib/cilium
while [ $# -gt 0 ]; do
  rm -f "usr/bin/$1"
  : >"usr/bin/$1"
  mount --bind "$2" "usr/bin/$1"
  shift 2
done
mkdir -p before
pivot_root . before
umount -l /before
rmdir /before
