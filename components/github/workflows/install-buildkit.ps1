# Installs containerd and buildkitd as services of Windows, and buildx as a plugin of docker.
#
# CONTAINERD_VERSION, BUILDKIT_VERSION, BUILDX_VERSION  tags, with their v
#
# Each file is compared with the sha256 that its project publishes beside it; BuildKit does so in its provenance.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$arch = if ($env:PROCESSOR_ARCHITECTURE -eq 'ARM64') { 'arm64' } else { 'amd64' }
$work = Join-Path $env:RUNNER_TEMP 'buildkit'
New-Item -ItemType Directory -Force $work | Out-Null

function Get-Release([string] $Repository, [string] $Version, [string] $Asset) {
  $file = Join-Path $work $Asset
  curl.exe --fail --silent --show-error --location --retry 5 --retry-all-errors --max-time 600 `
    --output $file "https://github.com/$Repository/releases/download/$Version/$Asset"
  if ($LASTEXITCODE -ne 0) { throw "$Repository ${Version}: $Asset cannot be fetched" }
  return $file
}

function Confirm-Sha256([string] $File, [string] $Expected) {
  $actual = (Get-FileHash -Algorithm SHA256 $File).Hash.ToLowerInvariant()
  if ($actual -ne $Expected.ToLowerInvariant()) { throw "$(Split-Path -Leaf $File) has the sha256 $actual, but $Expected is published" }
}

$bare = $env:CONTAINERD_VERSION.TrimStart('v')
$asset = "containerd-$bare-windows-$arch.tar.gz"
$containerd = Get-Release 'containerd/containerd' $env:CONTAINERD_VERSION $asset
$sums = Get-Content (Get-Release 'containerd/containerd' $env:CONTAINERD_VERSION "$asset.sha256sum")
Confirm-Sha256 $containerd ($sums -split '\s+')[0]

$asset = "buildkit-$env:BUILDKIT_VERSION.windows-$arch.tar.gz"
$buildkit = Get-Release 'moby/buildkit' $env:BUILDKIT_VERSION $asset
$provenance = Get-Content -Raw (Get-Release 'moby/buildkit' $env:BUILDKIT_VERSION "buildkit-$env:BUILDKIT_VERSION.windows-$arch.provenance.json") | ConvertFrom-Json
$subject = $provenance.subject | Where-Object { $_.name -eq $asset }
if (-not $subject) { throw "the provenance of BuildKit $env:BUILDKIT_VERSION does not name $asset" }
Confirm-Sha256 $buildkit $subject.digest.sha256

$asset = "buildx-$env:BUILDX_VERSION.windows-$arch.exe"
$buildx = Get-Release 'docker/buildx' $env:BUILDX_VERSION $asset
$sum = Get-Content (Get-Release 'docker/buildx' $env:BUILDX_VERSION 'checksums.txt') | Where-Object { $_ -match "\*?$([regex]::Escape($asset))$" }
if (-not $sum) { throw "checksums.txt of buildx $env:BUILDX_VERSION does not name $asset" }
Confirm-Sha256 $buildx ($sum -split '\s+')[0]

foreach ($program in @{ Name = 'containerd'; Archive = $containerd }, @{ Name = 'buildkitd'; Archive = $buildkit }) {
  $folder = Join-Path $env:ProgramFiles $program.Name
  New-Item -ItemType Directory -Force $folder | Out-Null
  # A runner of one's own has the service from the run before: Windows does not write over a program that runs.
  $service = Get-Service $program.Name -ErrorAction SilentlyContinue
  if ($service) {
    Stop-Service -Force $program.Name
    $service.WaitForStatus('Stopped', '00:01:00')
  }
  tar.exe -xf $program.Archive -C $folder
  if ($LASTEXITCODE -ne 0) { throw "$($program.Archive) cannot be unpacked" }
  if (-not $service) {
    & (Join-Path $folder "bin\$($program.Name).exe") --register-service
    if ($LASTEXITCODE -ne 0) { throw "$($program.Name) cannot be registered as a service" }
  }
  Start-Service $program.Name
  (Get-Service $program.Name).WaitForStatus('Running', '00:01:00')
}

$plugins = Join-Path $env:ProgramData 'Docker\cli-plugins'
New-Item -ItemType Directory -Force $plugins | Out-Null
Copy-Item -Force $buildx (Join-Path $plugins 'docker-buildx.exe')

$buildctl = Join-Path $env:ProgramFiles 'buildkitd\bin\buildctl.exe'
foreach ($attempt in 1..30) {
  & $buildctl --addr 'npipe:////./pipe/buildkitd' debug workers
  if ($LASTEXITCODE -eq 0) { break }
  if ($attempt -eq 30) { throw 'buildkitd runs, but does not answer on npipe:////./pipe/buildkitd' }
  Start-Sleep -Seconds 1
}
