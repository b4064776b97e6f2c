{
  description = "Bootstrap Kubernetes clusters from a GitOps repository, up to the hand-over to Flux";

  # `nix flake lock` pins it by commit and hash.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ];
      forAll = function: nixpkgs.lib.genAttrs systems (system: function nixpkgs.legacyPackages.${system});
      version = (nixpkgs.lib.importTOML ./Cargo.toml).workspace.package.version;
    in
    {
      packages = forAll (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "bootstrapper";
          inherit version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          cargoBuildFlags = [ "--package" "bootstrapper" "--bin" "bootstrapper" ];
          nativeBuildInputs = [ pkgs.makeWrapper pkgs.installShellFiles ];
          # The tests start control planes, which they build with Go.
          doCheck = false;
          postInstall = ''
            installShellCompletion --cmd bootstrapper \
              --bash <($out/bin/bootstrapper completions bash) \
              --fish <($out/bin/bootstrapper completions fish) \
              --zsh <($out/bin/bootstrapper completions zsh)
            wrapProgram $out/bin/bootstrapper \
              --suffix PATH : ${pkgs.lib.makeBinPath [ pkgs.kubernetes-helm pkgs.kustomize pkgs.git ]}
          '';
          meta = {
            license = pkgs.lib.licenses.asl20;
            mainProgram = "bootstrapper";
          };
        };
      });

      devShells = forAll (pkgs: {
        default = pkgs.mkShell { packages = [ pkgs.rustup pkgs.go pkgs.git pkgs.mdbook ]; };
      });
    };
}
